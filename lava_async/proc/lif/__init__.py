"""A population of neurons that fire asynchronously inside a time step."""
