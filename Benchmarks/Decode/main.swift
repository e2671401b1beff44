// How fast a stream's bytes become changes, on one core. `make bench-decode` runs it.
import Glibc

exit(DecodeBenchmark.run() ? 0 : 1)
