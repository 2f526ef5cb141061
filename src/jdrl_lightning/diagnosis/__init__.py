"""The checks of the doctor command: environment, plug-ins, weights, configuration, pairs, loading speed."""
