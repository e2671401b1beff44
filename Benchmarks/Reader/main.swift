// The fastest way out of PostgreSQL that PGWire has. `make bench` runs it, or `make bench-reader`.
import Glibc

exit(BareReader.run(CommandLine.arguments))
