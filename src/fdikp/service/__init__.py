"""The service behind `fdikp serve`: an HTTP API and a page, with jobs that survive a crash."""
