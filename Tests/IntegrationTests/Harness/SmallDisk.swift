import Glibc
import Support

/// A disk of four megabytes that outlives the programs that use it, and can be full.
///
/// It is mounted for those processes alone that are started by ``prefix``, and goes with the last one.
final class SmallDisk: Sendable {
  /// Whether a disk can be mounted here; the reason is printed if not.
  static let isPossible = Requirement.present(
    (try? Subprocess.run("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]))?
      .termination == .exited(0),
    else: "no disk can be mounted here (unshare -m)")

  /// Where programs see it.
  let path: String
  private let directory: TemporaryDirectory
  private let holder: Subprocess

  /// - Throws: `SupportError` when it cannot be mounted.
  init() throws {
    directory = try TemporaryDirectory("disk")
    path = directory.path
    holder = try Subprocess(
      "unshare",
      [
        "-m", "sh", "-c",
        "mount -t tmpfs -o size=4m tmpfs \(path) && echo mounted && exec sleep infinity",
      ])
    let holder = holder
    try eventually(within: .seconds(30), "the disk") {
      guard holder.isRunning else { throw SupportError(holder.standardError) }
      return holder.standardOutput.contains("mounted")
    }
  }

  deinit { holder.send(SIGKILL) }

  /// What starts a program that sees the disk.
  var prefix: [String] { ["nsenter", "-m", "-t", "\(holder.processID)"] }

  /// Writes until it is full.
  func fill() throws { _ = try Subprocess.run("dd", ["if=/dev/zero", "of=\(filler)", "bs=4k"]) }

  /// Takes away what ``fill()`` wrote.
  func empty() throws { try Subprocess.check("rm", ["-f", filler]) }

  private var filler: String { "/proc/\(holder.processID)/root\(path)/filler" }
}
