//! What a program remembers: buckets of keys and values, blobs and SQL, kept in one file.
