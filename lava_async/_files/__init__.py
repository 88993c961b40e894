"""Files: networks in HDF5, and writing so that no reader ever sees half of one."""
