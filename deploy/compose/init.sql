-- What docker-compose's PostgreSQL holds at its first start.
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  note text NOT NULL,
  price numeric(12, 2) NOT NULL,
  placed timestamptz NOT NULL DEFAULT now()
);
CREATE PUBLICATION psql_streamer FOR ALL TABLES;
