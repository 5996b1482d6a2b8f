//! The views that are kept. This file only lists.

use read_model::admin_list::AdminList;
use read_model::book_history::BookHistory;
use read_model::book_stock::BookStock;
use read_model::view::AnyView;

/// All of them.
pub const VIEWS: &[&dyn AnyView] = &[&BookStock, &AdminList, &BookHistory];
