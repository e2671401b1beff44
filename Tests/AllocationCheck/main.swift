// Fails when a row costs an allocation on its way from the received bytes to the sink.
// `make test-allocations` runs it: only optimised code shows it.
import Glibc

let decoder = DecoderCheck.run()
let pipeline = AllocationCheck.run()
exit(decoder && pipeline ? 0 : 1)
