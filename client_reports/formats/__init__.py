"""What a report looks like: as a page, a spreadsheet, JSON."""
