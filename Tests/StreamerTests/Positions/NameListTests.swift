import Testing

@testable import Streamer

@Test(
  "lists of names have one text each",
  arguments: [[], [""], ["a"], ["a", ""], ["a\nb"], ["a", "b"], ["\\"], ["\\n"], ["a\\", "n"]])
func nameLists(_ names: [String]) {
  #expect(NameList.names(NameList.text(names)) == names)
}
