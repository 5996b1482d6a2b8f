//! The views that are kept. This file only lists.

use read_model::admin_list::AdminList;
use read_model::book_history::BookHistory;
use read_model::book_stock::BookStock;
use read_model::view::AnyView;

/// All of them.
pub const VIEWS: &[&dyn AnyView] = &[&BookStock, &AdminList, &BookHistory];

#[cfg(test)]
mod tests {
    use super::*;
    use read_model::generation::{FOLD_VERSION, Schema};
    use uuid::Uuid;

    /// The version of the views, and a digest of their tables.
    const TABLES: (i32, &str) = (3, "cde21c14-8c58-53ab-acab-acc2a6f0d498");

    #[test]
    fn a_generation_has_the_tables_that_its_version_of_the_views_makes() {
        let tables: Vec<String> = VIEWS.iter().map(|view| view.create_table(&Schema::of(1))).collect();
        let words: Vec<&str> = tables.iter().flat_map(|table| table.split_whitespace()).collect();
        let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, words.join(" ").as_bytes()).to_string();
        assert_eq!(
            (FOLD_VERSION, digest.as_str()),
            TABLES,
            "tables of views were changed, or their version: raise FOLD_VERSION in read-model/src/generation.rs if it is \
             not, as generations in use are as they are, and put what is on the left into TABLES"
        );
    }
}
