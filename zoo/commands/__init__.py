"""The commands, and what stands behind them."""
