"""Drawing: the `canvas` that every figure is drawn on, pictures of an `analysis`, and the aperture `gallery`."""
