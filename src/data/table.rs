//! Tables: columns of numbers and categories from .csv and .tsv files.

/// A table as read, before missing values and categories are encoded.
#[derive(Clone, Debug)]
pub struct RawTable {}
