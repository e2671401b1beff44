import CZstd
import PGWire

/// Makes zstd frames with checksums; one context for all frames.
@safe struct ZstdCompressor: ~Copyable {
  private let context: OpaquePointer

  /// `level` is zstd's, 1 to 22.
  init(level: Int) {
    guard let context = unsafe ZSTD_createCCtx() else { preconditionFailure("out of memory") }
    unsafe self.context = context
    _ = unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, CInt(clamping: level))
    _ = unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
  }

  deinit { unsafe ZSTD_freeCCtx(context) }

  /// Appends one frame of all `bytes`.
  func compress(_ bytes: RawSpan, into output: inout ByteWriter) {
    let context = unsafe context
    unsafe output.append(upTo: ZSTD_compressBound(bytes.byteCount)) { room in
      // SAFETY: neither pointer leaves the closures; the room is what ZSTD_compressBound asks for.
      let size = unsafe bytes.withUnsafeBytes { source in
        unsafe ZSTD_compress2(
          context, room.baseAddress, room.count, source.baseAddress, source.count)
      }
      precondition(ZSTD_isError(size) == 0, "zstd compresses whatever fits into its bound")
      return size
    }
  }
}

/// Opens zstd frames; one context for all frames.
@safe struct ZstdDecompressor: ~Copyable {
  private let context: OpaquePointer

  init() {
    guard let context = unsafe ZSTD_createDCtx() else { preconditionFailure("out of memory") }
    unsafe self.context = context
  }

  deinit { unsafe ZSTD_freeDCtx(context) }

  /// Appends the contents of a frame; false when it is damaged or has another size than `size`.
  func decompress(_ frame: RawSpan, size: Int, into output: inout ByteWriter) -> Bool {
    let context = unsafe context
    let start = output.count
    var isWhole = false
    unsafe output.append(upTo: size) { room in
      // SAFETY: neither pointer leaves the closures; zstd writes no more than the room.
      let count = unsafe frame.withUnsafeBytes { source in
        unsafe ZSTD_decompressDCtx(
          context, room.baseAddress, room.count, source.baseAddress, source.count)
      }
      isWhole = ZSTD_isError(count) == 0 && count == size
      return isWhole ? count : 0
    }
    precondition(isWhole || output.count == start, "a damaged frame leaves nothing behind")
    return isWhole
  }
}
