"""Drawing: the `canvas` that every figure is drawn on, the figures of an `analysis`, and the aperture `gallery`."""
