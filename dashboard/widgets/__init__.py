"""What every page shows with: numbers as people read them, charts, colours, fields in the address."""
