"""The tensor server: one ONNX model behind V2 REST and gRPC, the contract's input rules compiled into its graph."""
