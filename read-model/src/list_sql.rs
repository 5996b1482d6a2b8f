//! A list as PostgreSQL is asked for it.

use crate::desk::STANDING;
use crate::generation::Schema;
use crate::list::{Column, Key, ListRequest, Listed, Order, Place, Since, text};
use crate::value;
use crate::whole::Whole;
use std::marker::PhantomData;
use tokio_postgres::types::{ToSql, Type};

/// A parameter and its type.
pub(crate) type Parameter = (Box<dyn ToSql + Send + Sync>, Type);

/// The conditions and the order of a request to a view, as SQL over its table `v`. Whatever came from outside is a
/// parameter.
pub(crate) struct ListSql<V> {
    /// Of the books that are asked for.
    filter: String,
    /// Of those that come after the mark.
    place: String,
    order: String,
    pub(crate) parameters: Vec<Parameter>,
    view: PhantomData<V>,
}

impl<V: Listed> ListSql<V> {
    pub(crate) fn of(request: &ListRequest) -> Self {
        let mut sql = Self {
            filter: "true".to_owned(),
            place: String::new(),
            order: order_by::<V>(request),
            parameters: Vec::new(),
            view: PhantomData,
        };
        sql.filter(request);
        sql.place(request);
        sql
    }

    /// The part that is asked for, as a statement that ends with the total and where the read models stand.
    pub(crate) fn part(&mut self, request: &ListRequest) -> impl Fn(Schema) -> String + use<V> {
        // One more than asked for tells whether there is more.
        let size = self.parameter(i64::from(request.size) + 1, Type::INT8);
        let offset = self.parameter(value::bigint(request.offset()), Type::INT8);
        let Self { filter, place, order, .. } = self;
        let (filter, place, order, counted) =
            (filter.clone(), place.clone(), order.clone(), !request.is_walk());
        move |schema| {
            let table = schema.table(V::NAME);
            let total = if counted {
                format!("(SELECT count(*) FROM {table} AS v WHERE {filter})")
            } else {
                "NULL::int8".to_owned()
            };
            format!(
                "SELECT {}, {total}, standing.* FROM ({STANDING}) AS standing LEFT JOIN (
                    SELECT * FROM {table} AS v WHERE {filter}{place} ORDER BY {order} LIMIT {size} OFFSET {offset}
                 ) AS v ON true
                 ORDER BY {order}",
                V::SELECT,
            )
        }
    }

    /// All of the list.
    pub(crate) fn whole(self) -> Whole {
        let Self { filter, order, parameters, .. } = self;
        let sql = move |schema: Schema| {
            let table = schema.table(V::NAME);
            format!("SELECT {} FROM {table} AS v WHERE {filter} ORDER BY {order}", V::SELECT)
        };
        Whole { sql: Box::new(sql), parameters }
    }

    fn parameter(&mut self, value: impl ToSql + Send + Sync + 'static, of: Type) -> String {
        self.parameters.push((Box::new(value), of));
        format!("${}", self.parameters.len())
    }

    fn filter(&mut self, request: &ListRequest) {
        let filter = &request.filter;
        let mut conditions = Vec::new();
        if let Some(words) = &filter.words {
            let folded = self.parameter(words.folded.clone(), Type::TEXT);
            let id = self.parameter(words.book_id.map(|id| value::bigint(id.get())), Type::INT8);
            conditions.push(format!("(strpos(v.search, {folded}) > 0 OR v.book_id = {id})"));
        }
        if let Some(least) = filter.min_stock {
            let least = self.parameter(i64::from(least), Type::INT8);
            conditions.push(format!("v.{} >= {least}", V::STOCKS));
        }
        if let Some(most) = filter.max_stock {
            let most = self.parameter(i64::from(most), Type::INT8);
            conditions.push(format!("v.{} <= {most}", V::STOCKS));
        }
        if let Some(version) = filter.version {
            let hundredths = self.parameter(value::hundredths(version), Type::INT4);
            conditions.push(format!("v.{} = {hundredths} / 100.0", V::VERSIONS));
        }
        match filter.changed_since {
            None => {}
            Some(Since::Position(position)) => {
                let position = self.parameter(value::bigint(position), Type::INT8);
                conditions.push(format!("v.position > {position}"));
            }
            Some(Since::Time(time)) => {
                let time = self.parameter(value::moment(time), Type::TIMESTAMPTZ);
                conditions.push(format!("v.occurred_at >= {time}"));
            }
        }
        for condition in conditions {
            self.filter.push_str(&format!(" AND {condition}"));
        }
    }

    fn place(&mut self, request: &ListRequest) {
        let Place::After(mark) = &request.place else { return };
        let book = self.parameter(value::bigint(mark.book_id.get()), Type::INT8);
        let key = match &mark.key {
            Key::BookId => None,
            Key::Name(name) => Some(self.parameter(text(name.as_ref()).to_owned(), Type::TEXT)),
            Key::Version(version) => {
                let hundredths = self.parameter(value::hundredths(*version), Type::INT4);
                Some(format!("{hundredths} / 100.0"))
            }
            Key::Stock(stock) => Some(self.parameter(i64::from(*stock), Type::INT8)),
            Key::Position(position) => Some(self.parameter(value::bigint(*position), Type::INT8)),
        };
        let after = match request.order().first() {
            Some((_, Order::Descending)) => "<",
            _ => ">",
        };
        self.place = match key {
            None => format!(" AND v.book_id {after} {book}"),
            Some(key) => format!(" AND ({}, v.book_id) {after} ({key}, {book})", column::<V>(mark.column())),
        };
    }
}

/// The ORDER BY list. Ties are in the order of the ids, which goes the way of the first column, so that an index
/// serves either way.
fn order_by<V: Listed>(request: &ListRequest) -> String {
    let order = request.order();
    let way = |direction: &Order| match direction {
        Order::Ascending => "ASC",
        Order::Descending => "DESC",
    };
    let mut columns: Vec<_> =
        order.iter().map(|(by, direction)| format!("{} {}", column::<V>(*by), way(direction))).collect();
    let first = order.first().map_or("ASC", |(_, direction)| way(direction));
    columns.push(format!("v.book_id {first}"));
    columns.join(", ")
}

/// What is sorted by, as the indexes of the views have it.
fn column<V: Listed>(column: Column) -> String {
    match column {
        Column::BookId => "v.book_id".to_owned(),
        Column::Name => format!("coalesce(v.{}, U&'\\+10FFFF')", V::NAMES),
        Column::Version => format!("v.{}", V::VERSIONS),
        Column::Stock => format!("v.{}", V::STOCKS),
        Column::Position => "v.position".to_owned(),
    }
}
