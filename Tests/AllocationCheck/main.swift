// Fails when a row costs an allocation on its way from the received bytes to the sink.
// `make test-allocations` runs it: only optimised code shows it.
import Glibc

exit(AllocationCheck.run() ? 0 : 1)
