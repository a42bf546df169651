from unicodedata import normalize

from django.db import migrations, models

import catalog.models.table


def fold(apps, schema_editor):
    """Fold each name; of aliases that become the same, the table that came first keeps its own."""
    names = apps.get_model("catalog", "TableName").objects
    seen = set()
    for name in names.order_by("is_alias", "table__registered_at", "pk"):
        small = normalize("NFD", name.name).lower().replace("\u03c2", "\u03c3")
        folded = normalize("NFC", small)
        if folded in seen or len(folded) > 255:
            name.delete()
        else:
            names.filter(pk=name.pk).update(folded=folded)
            seen.add(folded)


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0005_incident_damaged'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='tablename',
            name='table_any_name_unique',
        ),
        migrations.AddField(
            model_name='tablename',
            name='folded',
            field=catalog.models.table.FoldedField(default='', editable=False, max_length=255),
            preserve_default=False,
        ),
        migrations.RunPython(fold, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name='tablename',
            constraint=models.UniqueConstraint(fields=('folded',), name='table_any_name_unique', violation_error_message='Another table has this name.'),
        ),
    ]
