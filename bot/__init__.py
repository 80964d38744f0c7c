"""The top floor: command line, settings, assembly, web application, callback, worker, demo."""
