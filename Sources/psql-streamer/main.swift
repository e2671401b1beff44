import Glibc
import Streamer

exit(Program.run(Array(CommandLine.arguments.dropFirst())))
