"""A Django REST framework application in one file: one model, its three paginations, a filter by time."""

import os
import sys

import django
from django.conf import settings

settings.configure(
	SECRET_KEY="test",
	DEBUG=True,
	ALLOWED_HOSTS=["*"],
	ROOT_URLCONF=__name__,
	USE_TZ=True,
	DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
	INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
	DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DRF_DATABASE"]}},
	REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
)
django.setup()

from django.db import connection, models
from django.urls import include, path
from rest_framework import pagination, routers, serializers, viewsets


class Thing(models.Model):
	"""A record with a time of its last change."""

	title = models.CharField(max_length=200)
	price = models.FloatField()
	modified = models.DateTimeField(auto_now=True)

	class Meta:
		app_label = "things"


class ThingSerializer(serializers.ModelSerializer):
	"""All fields; the id may be given."""

	id = serializers.IntegerField()

	class Meta:
		model = Thing
		fields = ["id", "title", "price", "modified"]


class Numbers(pagination.PageNumberPagination):
	"""`count`, `next`, `previous`, `results`."""

	page_size = 4


class Offsets(pagination.LimitOffsetPagination):
	"""The same with `limit` and `offset`."""

	default_limit = 4
	max_limit = 4


class Cursors(pagination.CursorPagination):
	"""The same without a count."""

	page_size = 4
	ordering = "id"


def view(kind):
	class Things(viewsets.ModelViewSet):
		"""The records by one pagination."""

		queryset = Thing.objects.order_by("id")
		serializer_class = ThingSerializer
		pagination_class = kind

		def get_queryset(self):
			since = self.request.query_params.get("modified_since")
			return super().get_queryset().filter(**({"modified__gte": since} if since else {}))

	return Things


router = routers.DefaultRouter()
for name, kind in (("numbers", Numbers), ("offsets", Offsets), ("cursors", Cursors)):
	router.register(name, view(kind), basename=name)
urlpatterns = [path("", include(router.urls))]

if __name__ == "__main__":
	with connection.schema_editor() as editor:
		editor.create_model(Thing)
	from django.core.management import execute_from_command_line

	execute_from_command_line(["app", "runserver", "--noreload", f"127.0.0.1:{sys.argv[1]}"])
