import CLinux

/// How the C library's allocator treats what is large.
enum Allocator {
  /// Lets blocks from ``Limits/mappedBytes`` on go back to the system when they are freed.
  ///
  /// What waits behind a slow sink takes many; without this they stay in the process once the sink
  /// has caught up, each thread's on its own.
  static func giveBackLargeBlocks() { clinux_map_large_blocks(CInt(Limits.mappedBytes)) }
}
