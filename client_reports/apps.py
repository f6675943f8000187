from django.apps import AppConfig


class ClientReportsConfig(AppConfig):
    name = "client_reports"
    verbose_name = "Client reports"
