"""Networks of usual size: 224 pixels, hundreds of classes; what a scan of them costs."""
