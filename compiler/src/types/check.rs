//! The checker's state, and what a builtin may ask of it.

/// Checks one program; builtins see it in their `check`.
pub struct Check<'a> {
    _marker: std::marker::PhantomData<&'a ()>,
}
