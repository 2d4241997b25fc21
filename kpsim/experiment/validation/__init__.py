"""kpsim is held against measurements, record by record: set-ups become counts through the modes, and profiles price them."""
