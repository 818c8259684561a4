using { managed } from '@sap/cds/common';
namespace shop;

entity Things : managed {
	key ID : Integer;
	title : String(200);
	price : Double;
}
