//! Where an app is served: HTTP, instances, chains, and what there is to see of them.
