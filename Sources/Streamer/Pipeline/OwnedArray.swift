/// A fixed number of values that cannot be copied, changed where they lie.
///
/// Swift 6.3 has no array of them.
@safe struct OwnedArray<Element: ~Copyable>: ~Copyable {
  private let storage: UnsafeMutablePointer<Element>
  /// How many values there are.
  let count: Int

  /// Makes each value by its number.
  init<Failure: Error>(
    count: Int, _ make: (Int) throws(Failure) -> Element
  ) throws(Failure) {
    let storage = UnsafeMutablePointer<Element>.allocate(capacity: max(count, 1))
    for index in 0..<count {
      do throws(Failure) {
        unsafe (storage + index).initialize(to: try make(index))
      } catch {
        // SAFETY: as many values as were made.
        unsafe storage.deinitialize(count: index)
        unsafe storage.deallocate()
        throw error
      }
    }
    unsafe self.storage = storage
    self.count = count
  }

  deinit {
    // SAFETY: all of them were made.
    unsafe storage.deinitialize(count: count)
    unsafe storage.deallocate()
  }

  /// The values' numbers.
  var indices: Range<Int> { 0..<count }

  /// A value by its number.
  subscript(index: Int) -> Element {
    @inline(__always) unsafeAddress {
      precondition(index >= 0 && index < count, "there is no value of that number")
      return unsafe UnsafePointer(storage + index)
    }
    @inline(__always) unsafeMutableAddress {
      precondition(index >= 0 && index < count, "there is no value of that number")
      return unsafe storage + index
    }
  }
}
