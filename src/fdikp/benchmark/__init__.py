"""How fast models are: calls in turn (`timing`), what hardware can do (`machine`), all of it (`suite`), tables (`show`)."""
