pub use wasmtime_wasi; pub use wasmtime_wasi_http; pub use wasmtime_wasi_tls;
