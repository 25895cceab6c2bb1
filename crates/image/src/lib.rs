//! How an app travels: its manifest.
