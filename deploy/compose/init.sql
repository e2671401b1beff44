-- What docker-compose's PostgreSQL holds at its first start.
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  note text NOT NULL,
  price numeric(12, 2) NOT NULL,
  placed timestamptz NOT NULL DEFAULT now()
);

-- psql-streamer's role may open replication slots and look things up, and needs no more: what is
-- published is read from the log. It owns nothing and writes nothing.
CREATE ROLE streamer LOGIN REPLICATION PASSWORD 'streamer';
GRANT CONNECT ON DATABASE shop TO streamer;

-- Making a publication wants the tables' owner, or a superuser for all of them.
CREATE PUBLICATION psql_streamer FOR ALL TABLES;

-- The application that writes.
CREATE ROLE clerk LOGIN PASSWORD 'clerk';
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO clerk;
