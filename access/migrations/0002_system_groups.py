"""Make the two groups that are always there."""

from django.db import migrations

GROUPS = {
    "Admin": "May do everything.",
    "Everyone": "Every active user, without being added.",
}


def make_system_groups(apps, schema_editor):
    Group = apps.get_model("access", "Group")
    for name, description in GROUPS.items():
        Group.objects.update_or_create(
            name=name, defaults={"is_system": True, "description": description}
        )


class Migration(migrations.Migration):
    dependencies = [("access", "0001_initial")]

    operations = [migrations.RunPython(make_system_groups, migrations.RunPython.noop)]
