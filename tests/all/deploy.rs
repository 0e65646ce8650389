//! Real servers: see the file as it grows.
