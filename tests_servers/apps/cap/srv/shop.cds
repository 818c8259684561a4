using { shop } from '../db/schema';

@requires: 'any'
service ShopService @(path: '/odata/v4/shop') {
	@cds.query.limit: { default: 4, max: 4 }
	entity Things as projection on shop.Things;
}
