//! One path with its methods. `Allow`, HEAD and CORS follow from what it answers.

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Route, web};

use super::admission::within_bounds;
use super::cors;
use super::http_refusal::HttpRefusal;
use super::reply::{Family, Reply, Shown};

/// One path, its methods, and how its errors are shown.
pub(super) struct Endpoint {
    resource: Resource,
    family: Family,
    methods: Vec<Method>,
    origins: Option<Vec<String>>,
    unbounded: bool,
}

/// An endpoint that answers no method yet.
pub(super) fn endpoint(family: Family, path: &str) -> Endpoint {
    let resource = web::resource(path);
    Endpoint { resource, family, methods: Vec::new(), origins: None, unbounded: false }
}

impl Endpoint {
    /// Answers GET, and HEAD like it (RFC 9110 §9.3.2).
    pub(super) fn get<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args, Output = Result<HttpResponse, Reply>>,
        Args: FromRequest + 'static,
    {
        self.on(Method::GET, handler.clone()).on(Method::HEAD, handler)
    }

    /// Answers GET alone, where GET does something: HEAD must not do it (RFC 9110 §9.3.2).
    pub(super) fn get_only<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args, Output = Result<HttpResponse, Reply>>,
        Args: FromRequest + 'static,
    {
        self.on(Method::GET, handler)
    }

    /// Answers POST.
    pub(super) fn post<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args, Output = Result<HttpResponse, Reply>>,
        Args: FromRequest + 'static,
    {
        self.on(Method::POST, handler)
    }

    /// Answers DELETE.
    pub(super) fn delete<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args, Output = Result<HttpResponse, Reply>>,
        Args: FromRequest + 'static,
    {
        self.on(Method::DELETE, handler)
    }

    /// Pages of public clients may call it from their registered origins; nobody else's page may read the answer, nor that of
    /// another client.
    pub(super) fn cors(mut self, origins: &[String]) -> Self {
        self.origins = Some(origins.to_vec());
        self
    }

    /// Stands on nothing but memory: it is answered however much there is to do.
    pub(super) fn unbounded(mut self) -> Self {
        self.unbounded = true;
        self
    }

    fn on<H, Args>(mut self, method: Method, handler: H) -> Self
    where
        H: Handler<Args, Output = Result<HttpResponse, Reply>>,
        Args: FromRequest + 'static,
    {
        let shown = Shown { handler, family: self.family };
        self.resource = self.resource.route(web::method(method.clone()).to(shown));
        self.methods.push(method);
        self
    }
}

impl HttpServiceFactory for Endpoint {
    fn register(self, config: &mut AppService) {
        let Self { resource, family, methods, origins, unbounded } = self;
        let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let resource = resource.default_service(not_allowed(family, allow));
        if unbounded {
            return resource.register(config);
        }
        let resource = resource.wrap(from_fn(move |request, next| within_bounds(family, request, next)));
        match origins {
            None => resource.register(config),
            Some(origins) => {
                resource
                    .wrap(cors::of(methods, origins))
                    .wrap(from_fn(cors::for_the_client))
                    .register(config);
            }
        }
    }
}

/// 405 (RFC 9110 §15.5.6).
fn not_allowed(family: Family, allow: String) -> Route {
    web::route().to(move |request: HttpRequest| {
        let refusal = HttpRefusal::MethodNotAllowed { allow: allow.clone() };
        let response = family.show(&request, refusal.into());
        async move { response }
    })
}

/// 404, for every path that has no endpoint.
pub(super) fn not_found(family: Family) -> Route {
    web::route().to(move |request: HttpRequest| {
        let response = family.show(&request, HttpRefusal::PathUnknown.into());
        async move { response }
    })
}
