"""The published data sets, one a file: where their pictures lie and which are partners."""
