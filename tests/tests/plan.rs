//! Plans: what they come to is what asking every policy comes to.
