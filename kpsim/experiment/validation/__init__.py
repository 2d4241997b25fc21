"""kpsim is held against measurements here, record by record: modes count what was there, and profiles price it."""
