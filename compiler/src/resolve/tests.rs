//! Over the host's kernel where there is one; the forms need none.
