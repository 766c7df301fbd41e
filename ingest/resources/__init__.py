"""What can be asked over HTTP: one resource a file, and the reads behind them."""
