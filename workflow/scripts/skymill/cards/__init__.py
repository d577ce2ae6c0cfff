"""Cards of the data sets: what people and programs read before they load one."""
