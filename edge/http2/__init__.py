"""HTTP/2 for an edge worker, inside its event loop: all responses of a connection leave in one write per iteration."""
