"""The server's life and its two doors, REST and gRPC, on top of the KServe SDK's model server."""
