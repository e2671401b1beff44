extension PipelineObserver {
  func saveSucceeded() {}
  func heard(at: ContinuousClock.Instant) {}
}
