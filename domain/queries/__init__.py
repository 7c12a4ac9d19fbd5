"""What every query means: dates, filters, plans and the shape of the answer."""
