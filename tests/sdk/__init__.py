"""The seams at which the KServe SDK is replaced. Each trap has a test that passes on our servers and fails on the plain
SDK: expected failures are strict, so the suite says when the SDK is mended and a seam can go.
"""
